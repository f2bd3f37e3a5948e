"""A module can be read in one sitting; `lint-imports` holds which may import which."""

from samples import ROOT

LONGEST = 500
DATA = {"resnet_lib/evidence/claims.py"}  # which is read like a table


def test_no_module_is_longer_than_one_sitting() -> None:
    modules = [path for folder in ("resnet_lib", "tools") for path in (ROOT / folder).rglob("*.py")]
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {name for name, count in lines.items() if count > LONGEST} == DATA
