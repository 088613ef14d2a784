"""Settings: frozen, typed, validated blocks; `config.py` loads them from YAML."""
