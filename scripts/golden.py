"""Writes the golden histories (tests/golden) from their scenarios, as they are decided now: `make golden`."""

from tests.golden import files, scenarios


def main() -> None:
    """Write one file a history; what is different from before shows in the diff."""
    for path in files.histories():
        path.unlink()
    for number, (name, told) in enumerate(scenarios.HISTORIES.items()):
        lines = files.decided(scenarios.written(number, told))
        (files.HISTORIES / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
