set -x
python3 -m pip install -q --no-index --find-links .wheels pydantic platformdirs
export XDG_CACHE_HOME=/tmp/xdg PYTHONPATH=. PYTHONWARNINGS=ignore
nvidia-smi -L
timeout 170 python3 benchmarks/same_losses.py > $OUT/same.txt 2>$OUT/same.err; tail -5 $OUT/same.err; cat $OUT/same.txt
timeout 130 python3 benchmarks/epoch_speed.py --devices 1 2 --batch 384 --rounds 5 > $OUT/e384.txt 2>$OUT/e384.err; tail -5 $OUT/e384.err; cat $OUT/e384.txt
timeout 130 python3 benchmarks/epoch_speed.py --devices 1 2 --batch 1536 --rounds 5 > $OUT/e1536.txt 2>$OUT/e1536.err;tail -5 $OUT/e1536.err; cat $OUT/e1536.txt
CUDA_VISIBLE_DEVICES=0 timeout 150 python3 -m jaxbeh.train --config v7 --run /tmp/r7 --set members.folds=5 --set members.seeds=2 --set training.epochs=4 > $OUT/v7.txt 2>&1; tail -25 $OUT/v7.txt
