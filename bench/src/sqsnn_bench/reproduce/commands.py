"""The command `sqsnn-bench reproduce`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from sqsnn.cli.ends import Output


def reproduce(
    *names: str,
    listed: Annotated[bool, Parameter(name="--list", negative=())] = False,
    studies: Path = Path("bench/studies/reproduce"),
    out: Path = Path("bench/results/reproduce"),
    jobs: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
) -> None:
    """Reproduce the claims of the paper, and write a table: paper, their code, ours.

    Each claim is a study, whose trials that are done are kept. One whose data are not there is left
    out; nothing is downloaded. Writes OUT.md and OUT.json, and each study below OUT.

    Args:
        names: Claims, e.g. usps [default: all].
        listed: List the claims and what is known of them, and run none.
        studies: Folder of the studies and of claims.toml.
        out: Folder of the results.
        jobs: Trials at a time, each in a process of its own.
    """
    from sqsnn.storage import write_atomically, write_json
    from sqsnn_bench.reproduce.claims import choose, read_claims
    from sqsnn_bench.reproduce.run import reproduce as run
    from sqsnn_bench.reproduce.text import page
    from sqsnn_bench.study.progress import Lines

    console = Output()
    claims = read_claims(studies)
    chosen = choose(claims, names)
    if listed:
        for name in chosen:
            console.print(Text(f"{name}: {claims[name].claim}"), soft_wrap=True)
        return
    rows = run(
        claims,
        chosen,
        studies,
        out,
        jobs,
        lambda study: Lines(study, console),
        lambda line: console.print(Text(line), soft_wrap=True),
    )
    text = page(rows)
    write_json(out.with_suffix(".json"), rows)
    write_atomically(out.with_suffix(".md"), lambda path: path.write_text(text, "utf-8"))
    console.print()
    console.print(Text(text), soft_wrap=True)
    console.print(Text(str(out.with_suffix(".md"))), soft_wrap=True)
