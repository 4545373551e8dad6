"""Licences of weights, by their SPDX identifiers."""

import re

# Those that allow any use, and ask for little more than to be named.
PERMISSIVE = (
    *("Apache-2.0", "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "BSL-1.0"),
    *("0BSD", "Unlicense", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0"),
)
SPDX = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*-[0-9][A-Za-z0-9.+-]*")

OTHER_TERMS = "terms of its own"  # of the training data, in what rows say of a licence


def spdx(licence: str) -> str | None:
    """The identifier that a licence's text begins with, if it does."""
    first = licence.partition(" ")[0].strip(",;")
    return first if first in PERMISSIVE or SPDX.fullmatch(first) else None


def is_permissive(licence: str) -> bool:
    """Whether its terms hardly restrict anybody."""
    return spdx(licence) in PERMISSIVE


def fits(licence: str, wanted: str) -> bool:
    """Whether it is of a kind: `permissive`, or an SPDX identifier in any case."""
    if wanted == "permissive":
        return is_permissive(licence)
    return (spdx(licence) or "").casefold() == wanted.casefold()


def allows_commercial_use(licence: str) -> bool | None:
    """Whether results may be sold, say; None: its identifier doesn't say, or the
    training data has other terms."""
    found = spdx(licence)
    if found is None or OTHER_TERMS in licence:
        return None
    return "-NC" not in found
