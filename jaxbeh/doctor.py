"""The command `jaxbeh doctor`: what the machine can do, and what is odd about a collection."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxbeh.console import err, out, print_table
from jaxbeh.wording import how_many

if TYPE_CHECKING:
    from jaxbeh.data.checks import Examination
    from jaxbeh.finding import CheckFinding
    from jaxbeh.settings.run import DataSettings

SCHEMA = 1
"""Of the JSON form; raised when a field changes its meaning or goes, not when one comes."""

_SHOWN = 3
"""Findings of one kind that are printed; the JSON form has all."""


def doctor(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder in the MABe layout: all labelled videos and all test videos are checked.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        str,
        typer.Option(
            help="Recipe whose data settings hold: keypoint aliases, default frame rate, "
            "event_scale."
        ),
    ] = "v6",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Look at the machine, and with --data at a collection, and say what to do about it.

    The machine: Python, packages, the devices that JAX sees and why a GPU is not used, memory,
    disks, write access, JAX's compilation cache. The collection: files that cannot be read, missing
    keypoints, suspected identity swaps, jumps, frame rates and scales that are missing or
    contradicted, events beyond the end or in conflict, oddities of behaviors_labeled, videos with
    the same content.

    An error means that something does not work or is left out; a warning, that results may be
    wrong; a note, that a documented rule fills in. Exit code 1 says that there is an error, 0 that
    there is none. Nothing is changed.
    """
    from jaxbeh.config import load_config

    settings = load_config(config).data
    machine, findings = _machine()
    examination = None if data is None else _examine(data, settings)
    if not as_json:
        _print_machine(machine)
    if examination is not None:
        findings += examination.findings
    if as_json:
        _print_json(machine, data, examination, findings)
    else:
        _print_findings(data, examination, findings)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


def _machine() -> "tuple[dict[str, Any], list[CheckFinding]]":
    """The facts, as the JSON form has them, and what follows from them."""
    from dataclasses import asdict

    from jaxbeh.collection import cache_folder, programs_folder
    from jaxbeh.machine import devices, memory, software, storage

    packages = software.package_versions()
    facts = devices.device_facts()
    ram = memory.memory()
    found = storage.places(Path("runs"), cache_folder(), programs_folder())
    machine = {
        "python": software.python_version(),
        "packages": packages,
        "devices": asdict(facts),
        "memory": asdict(ram),
        "places": [{**asdict(place), "path": str(place.path.absolute())} for place in found],
    }
    findings = [
        *software.missing_packages(packages),
        *devices.explain(facts),
        *memory.tight_memory(ram),
        *storage.trouble(found),
    ]
    return machine, findings


def _examine(data: Path, settings: "DataSettings") -> "Examination":
    from rich.progress import Progress

    from jaxbeh.data.checks import examine
    from jaxbeh.errors import DataError

    if not data.is_dir():
        raise DataError(f"{data}: is no folder; name one that holds train.csv or test.csv")
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("videos", total=None)
        return examine(
            data,
            settings,
            lambda done, total: progress.update(task, completed=done, total=total),
        )


def _print_machine(machine: dict[str, Any]) -> None:
    devices = machine["devices"]["devices"]
    rows: list[tuple[str, str]] = [("Python", machine["python"])]
    rows += [(name, version or "not installed") for name, version in machine["packages"].items()]
    for device in devices:
        size = device["memory_bytes"]
        more = f", {size / 1e9:.1f} GB" if size else ""
        rows.append(("device", f"{device['kind']} ({device['platform']}{more})"))
    if not devices:
        rows.append(("device", "none"))
    ram = machine["memory"]
    available, total = _gigabytes(ram["available"]), _gigabytes(ram["total"])
    rows.append(("memory", f"{available} available of {total}"))
    for place in machine["places"]:
        state = place["fault"] or f"writable, {_gigabytes(place['free'])} free"
        holds = f"{place['files']:,} files, {place['size'] / 1e6:,.1f} MB"
        rows.append((place["name"], f"{place['path']}: {state}; {holds}"))
    print_table("Machine", ["what", "found"], rows)


def _gigabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.1f} GB"


def _print_findings(
    data: Path | None, examination: "Examination | None", findings: "list[CheckFinding]"
) -> None:
    from jaxbeh.data.checks.collection import worst_first

    rows: list[tuple[str, str, str, str]] = []
    for kind in worst_first(findings):
        shown = kind if len(kind) <= _SHOWN + 1 else kind[:_SHOWN]
        for finding in shown:
            where = _shortened(finding.file, data)
            if finding.video_id and finding.video_id not in finding.file:
                where = f"{where}, video {finding.video_id}"
            rows.append((finding.severity, where, finding.what, finding.remedy))
        if len(shown) < len(kind):
            rest = f"{len(kind) - len(shown)} more of this kind ({kind[0].check}); --json has all"
            rows.append((kind[0].severity, "…", rest, kind[0].remedy))
    if rows:
        print_table("Findings", ["severity", "file", "what", "remedy"], rows)
    if examination is not None:
        left = f"; {examination.unlabelled:,} without labels" if examination.unlabelled else ""
        out.print(
            f"{data}: {how_many(examination.videos, 'video')} with "
            f"{how_many(examination.frames, 'frame')} looked at{left}"
        )
    counts = _counts(findings)
    out.print(", ".join(how_many(count, name) for name, count in counts.items()))


def _counts(findings: "list[CheckFinding]") -> dict[str, int]:
    from jaxbeh.finding import SEVERITIES

    return {
        severity.value: sum(finding.severity == severity for finding in findings)
        for severity in SEVERITIES
    }


def _shortened(file: str, data: Path | None) -> str:
    """A file by its path within the collection."""
    if data is None or not Path(file).is_relative_to(data):
        return file
    return str(Path(file).relative_to(data))


def _print_json(
    machine: dict[str, Any],
    data: Path | None,
    examination: "Examination | None",
    findings: "list[CheckFinding]",
) -> None:
    import json
    from dataclasses import asdict

    from jaxbeh import __version__

    collection = None
    if examination is not None:
        collection = {
            "folder": str(data),
            "videos": examination.videos,
            "unlabelled": examination.unlabelled,
            "frames": examination.frames,
        }
    report = {
        "schema": SCHEMA,
        "jaxbeh": __version__,
        "machine": machine,
        "collection": collection,
        "findings": [asdict(finding) for finding in findings],
        "counts": _counts(findings),
    }
    typer.echo(json.dumps(report, indent=2))


def main() -> None:
    """Run the command on the words of the command line."""
    from jaxbeh.cli import run_command

    run_command(doctor)


if __name__ == "__main__":
    main()
