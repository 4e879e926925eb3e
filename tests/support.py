"""What several tests build: the project's own settings, with changes laid over them."""

from pathlib import Path

import yaml

from distilro.settings import Settings, check_settings, merge_settings

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = sorted(path.stem for path in (ROOT / "workflow/scenarios").glob("*.yaml"))


def read_params(scenario: str = "embedded") -> dict:
    """Return params.yaml with a scenario laid over it, unchecked."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    overlay = (ROOT / "workflow" / "scenarios" / f"{scenario}.yaml").read_text(encoding="utf-8")
    return {**merge_settings(params, yaml.safe_load(overlay) or {}), "scenario": scenario}


def build_settings(scenario: str = "embedded", **changes: dict) -> Settings:
    """Return the checked settings of a scenario with `changes` laid over them."""
    return check_settings(merge_settings(read_params(scenario), changes))
