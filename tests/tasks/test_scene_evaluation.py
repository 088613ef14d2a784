"""What is said of the videos that are predicted."""

from recordings import SEVEN, recording, wander

from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.predictor import Predictor
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.tasks.scene_evaluation import SceneEvaluator
from jaxbeh.training.dataset import class_map
from jaxbeh.training.recipe import Recipe
from jaxbeh.vocabulary import SlotTable, Triple


def test_a_lab_that_is_new_or_without_an_event_is_told_of():
    config = load_config("debug")
    slots = SlotTable.build(SEVEN, {})
    predictor = Predictor(Recipe.from_config(config), slots, state=None, normaliser=None)
    shown = {Triple.parse("mouse1,mouse2,sniff"): 9}
    run = SceneEvaluator(predictor, class_map(config), ActionFrequencies({"a": shown, "b": {}}))
    videos = [recording(wander(20), video_id=lab, lab_id=lab) for lab in "abc"]
    report = ReadingReport()
    assert run.usable(videos, report, labelled=False) == videos
    assert [(item.then, item.videos) for item in report.findings()] == [
        ("no bout is predicted", ("b",)),
        ("action frequencies of all labs pooled", ("c",)),
    ]
