"""What an archive wants to know of the book, made of what is there: CITATION.cff, pyproject.toml and the records.

`codemeta.json` describes the software, `.zenodo.json` a deposit at Zenodo, and `ro-crate-metadata.json` (RO-Crate 1.1)
all files that a reader relies on: for each record which code made it, on which machine, from which data and when.
`paper.bib` has the works that paper.md cites, and beside each file of weights lies its net's model card.
None of them is edited; a test holds them to what they are made of.
"""

import hashlib
import json
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

import yaml

from book.texts import repository
from resnet_lib.runs.cards import model_card
from resnet_lib.runs.records import load_record
from resnet_lib.runs.seal import SEAL, read_seal, renew
from resnet_lib.runs.store import WEIGHTS

RECORDS = "resnet_lib/records"
KEYWORDS = ["deep learning", "residual networks", "reproducibility", "image classification", "executable book"]
PAPER = "https://doi.org/{doi}"
SPDX = "https://spdx.org/licenses/{license}"
# The terms of RO-Crate 1.1, which has none for a digest.
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "http://schema.org/sha256"}]
# What of a record's provenance is of that one run, and not of the machine and code that made many.
OF_ONE_RUN = ("seconds", "images_per_second")
# What else than records lies in the crate.
PARTS = (
    "README.md",
    "CITATION.cff",
    "LICENSE",
    "pyproject.toml",
    "requirements.txt",
    "Dockerfile",
    "paper.md",
    "paper.bib",
    "resnet_lib/benchmarks/**/*",
    "resnet_lib/contributed/**/*",
    "resnet_lib/datasets/*",
    "resnet_lib/evidence/claims_log.yml",
    "notebooks/*.ipynb",
)
MEDIA = {
    "": "text/plain",
    ".bib": "application/x-bibtex",
    ".cff": "application/yaml",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".md": "text/markdown",
    ".npz": "application/zip",
    ".toml": "application/toml",
    ".txt": "text/plain",
    ".yml": "application/yaml",
}
Entity = dict[str, object]


def metadata(root: Path) -> dict[str, str]:
    """The content of each file that tells an archive what is there, by its name."""
    cited = yaml.safe_load((root / "CITATION.cff").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    made = {
        "codemeta.json": codemeta(cited, project, repository(root)),
        ".zenodo.json": zenodo(cited, project),
        "ro-crate-metadata.json": crate(root, cited, project),
    }
    return {name: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for name, content in made.items()}


def write(root: Path) -> None:
    """Puts everything in place; the crate last, since it lists the rest with the digests that the seal has."""
    beside = cards(root)
    for name, content in (beside | {"paper.bib": bibliography(root)}).items():
        (root / name).write_text(content)
    renew(root / RECORDS, only=[root / name for name in beside])
    for name, content in metadata(root).items():
        (root / name).write_text(content)


def bibliography(root: Path) -> str:
    """The works that paper.md cites, as book/references.bib has them."""
    cited = set(re.findall(r"@(\w+)", (root / "paper.md").read_text()))
    entries = re.split(r"^(?=@)", (root / "book" / "references.bib").read_text(), flags=re.MULTILINE)
    kept = [entry.strip() for entry in entries if cited & set(re.findall(r"^@\w+\{(\w+),", entry))]
    return "\n\n".join(kept) + "\n"


def cards(root: Path) -> dict[str, str]:
    """The model card of each net whose weights are there, by its path: beside the weights, with another ending."""
    found = sorted((root / RECORDS / "cifar10").glob(f"*{WEIGHTS}"))
    return {
        path.with_suffix(".md").relative_to(root).as_posix(): model_card(
            load_record(path.with_suffix(".json")), hashlib.sha256(path.read_bytes()).hexdigest()
        )
        + "\n"
        for path in found
    }


def names(cited: Entity) -> list[str]:
    """Of the authors of a work in CITATION.cff, families first."""
    return [who.get("name") or f"{who['family-names']}, {who['given-names']}" for who in cited["authors"]]


def codemeta(cited: Entity, project: Entity, address: str) -> Entity:
    """The software as CodeMeta 3.0 has it."""
    paper = cited["references"][0]
    return {
        "@context": "https://w3id.org/codemeta/3.0",
        "type": "SoftwareSourceCode",
        "name": project["name"],
        "description": project["description"],
        "version": project["version"],
        "datePublished": str(cited["date-released"]),
        "license": SPDX.format(license=project["license"]),
        "author": [{"type": "Organization", "name": name} for name in names(cited)],
        "codeRepository": address,
        "programmingLanguage": "Python",
        "runtimePlatform": f"Python {project['requires-python']}",
        "softwareRequirements": project["dependencies"],
        "keywords": KEYWORDS,
        "referencePublication": {
            "type": "ScholarlyArticle",
            "id": PAPER.format(doi=paper["doi"]),
            "name": paper["title"],
        },
    }


def zenodo(cited: Entity, project: Entity) -> Entity:
    """A deposit at Zenodo, which takes this file along when the repository is released."""
    return {
        "title": cited["title"],
        "description": f"<p>{project['description']}.</p>",
        "upload_type": "software",
        "version": project["version"],
        "publication_date": str(cited["date-released"]),
        "access_right": "open",
        "license": project["license"],
        "creators": [{"name": name} for name in names(cited)],
        "keywords": KEYWORDS,
        "related_identifiers": [
            {
                "identifier": cited["references"][0]["doi"],
                "relation": "references",
                "resource_type": "publication-conferencepaper",
            }
        ],
    }


def crate(root: Path, cited: Entity, project: Entity) -> Entity:
    """The files that a reader relies on, and how each record came about."""
    files = {f"{RECORDS}/{name}": digest for name, digest in (read_seal(root / RECORDS) or {}).items()}
    others = [
        path.relative_to(root).as_posix() for pattern in PARTS for path in sorted(root.glob(pattern)) if path.is_file()
    ]
    parts = [part(path, files[path]) for path in sorted(files)]
    parts += [part(path) for path in (f"{RECORDS}/{SEAL}", *others)]
    contributed = [path.relative_to(root).as_posix() for path in root.glob("resnet_lib/contributed/*/*/*.json")]
    made = provenance(root, [*(path for path in files if path.endswith(".json")), *contributed])
    license = {
        "@id": SPDX.format(license=project["license"]),
        "@type": "CreativeWork",
        "name": f"{project['license']} licence",
        "description": "The licence of the book, its library and its records.",
    }
    paper = cited["references"][0]
    authors = [
        {"@id": f"#author-{number}", "@type": "Organization", "name": name, "url": repository(root)}
        for number, name in enumerate(names(cited), start=1)
    ]
    whole = {
        "@id": "./",
        "@type": "Dataset",
        "name": cited["title"],
        "description": project["description"],
        "version": project["version"],
        "datePublished": str(cited["date-released"]),
        "license": ref(license),
        "author": single([ref(author) for author in authors]),
        "publisher": ref(authors[0]),
        "url": repository(root),
        "keywords": ", ".join(KEYWORDS),
        "citation": {"@id": PAPER.format(doi=paper["doi"])},
        "hasPart": [ref(entity) for entity in parts],
        "mentions": [ref(entity) for entity in made if entity["@type"] == "CreateAction"],
    }
    article = {"@id": PAPER.format(doi=paper["doi"]), "@type": "ScholarlyArticle", "name": paper["title"]}
    descriptor = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    graph = [descriptor, whole, license, *authors, article, *made, *parts]
    return {"@context": CONTEXT, "@graph": graph}


def single(values: list[Entity]) -> list[Entity] | Entity:
    """One value stands by itself, as RO-Crate recommends."""
    return values if len(values) > 1 else values[0]


def ref(entity: Entity) -> Entity:
    """A reference to an entity."""
    return {"@id": entity["@id"]}


def part(path: str, digest: str | None = None) -> Entity:
    """A file; those of records with their digest."""
    media = MEDIA.get(Path(path).suffix, "application/octet-stream")
    entity = {"@id": quote(path), "@type": "File", "name": Path(path).name, "encodingFormat": media}
    return entity | ({"sha256": digest} if digest else {})


def provenance(root: Path, paths: list[str]) -> list[Entity]:
    """How records and studies came about: one action for all that the same code made of the same data on one machine.

    Also what these actions refer to. A file of weights is what the run of its record left beside it.
    """
    results: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        record = json.loads((root / path).read_text())
        how = {name: value for name, value in record["provenance"].items() if name not in OF_ONE_RUN}
        data = (
            record["config"]["data"]["name"] if "config" in record else "cifar10"
        )  # nets of others are measured on it
        key = json.dumps({"data": data, "study": record.get("study"), **how}, sort_keys=True)
        weights = Path(path).with_suffix(".safetensors")
        results[key] += [path] + ([weights.as_posix()] if (root / weights).exists() else [])
    actions, others = [], {}
    for key, made in sorted(results.items(), key=lambda item: item[1]):
        how = json.loads(key)
        commit, changed = how["git_commit"] or "not known", ", changed" if how["git_dirty"] else ""
        code = {
            "@id": f"#resnet_lib-{how['git_commit'] or 'unknown'}{'-changed' if changed else ''}",
            "@type": "SoftwareApplication",
            "name": f"resnet_lib {how['package']}, commit {commit}{changed}",
            "softwareVersion": how["package"],
        }
        data = {
            "@id": f"#data-{how['data']}-{how['data_digest']}",
            "@type": "CreativeWork",
            "name": f"{how['data']}, digest {how['data_digest']}",
        }
        others |= {code["@id"]: code, data["@id"]: data}
        machine = [f"{how['threads']} threads", how["precision"], f"Python {how['python']}", f"torch {how['torch']}"]
        machine += ["compiled"] if how["compiled"] else []
        machine += [f"{how[name]} {name}" for name in ("processes", "parts") if name in how]
        parts = [f"{s['iteration']} iterations on, {s['date']}, {s['device']}" for s in how.get("segments", ())]
        actions.append(
            {
                "@id": f"#action-{hashlib.sha256(key.encode()).hexdigest()[:12]}",
                "@type": "CreateAction",
                "name": f"{how['study'] or 'training'} on {how['data']}",
                "description": "; ".join([", ".join([how["device"], *machine]), *parts]),
                "endTime": how["date"],
                "instrument": ref(code),
                "object": ref(data),
                "result": single([{"@id": quote(path)} for path in made]),
            }
        )
    return [*actions, *others.values()]
