"""What a person chooses from, and licences."""

import pytest

from sakuga import Config
from sakuga_core.networks import licences, registry
from sakuga_core.networks.choices import choices
from sakuga_core.repository.pipelines import listings

LISTED = {
    name: {**row.model_dump(), "installed": name.endswith("2x-none"), "loaded": False}
    for name, row in listings(Config()).items()
}


def test_a_family_stands_for_its_networks() -> None:
    found = choices({name: {**row, "installed": False} for name, row in LISTED.items()})
    assert list(found) == registry.names()
    cunet = found["waifu2x-cunet"]
    assert cunet["scales"] == [1, 2]
    assert cunet["denoise_levels"] == {"1": [*"0123"], "2": ["none", *"0123"]}
    assert (cunet["installed"], cunet["loaded"], cunet["spdx"]) == (False, False, "MIT")
    assert set(cunet["networks"]) == {n for n in LISTED if n.startswith("waifu2x-cunet")}
    assert cunet["source"].endswith("/models-cunet")
    assert found["realesr-animevideov3"]["scales"] == [4]
    assert found["u2net"]["scales"] == []


def test_of_a_family_that_is_exported_in_part_that_part_can_be_chosen() -> None:
    cunet = choices(LISTED)["waifu2x-cunet"]
    assert (cunet["scales"], cunet["scale"]) == ([2], 2)
    assert cunet["denoise_levels"] == {"2": ["none"]}
    assert cunet["installed"]
    assert len(cunet["networks"]) == 9
    one = {**LISTED["waifu2x-cunet-1x-denoise3"], "installed": True}
    cunet = choices({**LISTED, "waifu2x-cunet-2x-none": {**one, "scale": 1}})["waifu2x-cunet"]
    assert (cunet["scales"], cunet["scale"]) == ([1], 1)


def test_each_network_is_found_again_in_what_was_chosen_from() -> None:
    flat = {}
    for name, facts in choices(LISTED).items():
        flat |= facts.get("networks") or {name: facts}
    assert set(flat) == set(LISTED)


@pytest.mark.parametrize(
    ("licence", "spdx", "permissive", "commercial"),
    [
        ("MIT (somebody)", "MIT", True, True),
        ("Apache-2.0 (DIS; its data has terms of its own)", "Apache-2.0", True, None),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-SA-4.0", False, False),
        ("GPL-3.0-only, of mine", "GPL-3.0-only", False, True),
        ("not stated", None, False, None),
        ("", None, False, None),
    ],
)
def test_licences_are_known_by_their_identifiers(
    licence: str, spdx: str | None, permissive: bool, commercial: bool | None
) -> None:
    assert licences.spdx(licence) == spdx
    assert licences.is_permissive(licence) == permissive
    assert licences.allows_commercial_use(licence) == commercial


@pytest.mark.parametrize(
    ("licence", "wanted", "fits"),
    [
        ("MIT (somebody)", "permissive", True),
        ("MIT (somebody)", "mit", True),
        ("Apache-2.0 (DIS)", "MIT", False),
        ("Apache-2.0 (DIS)", "apache-2.0", True),
        ("CC-BY-NC-SA-4.0", "permissive", False),
        ("CC-BY-NC-SA-4.0", "cc-by-nc-sa-4.0", True),
        ("not stated", "mit", False),
    ],
)
def test_licences_are_chosen_by_kind_or_identifier(licence: str, wanted: str, fits: bool) -> None:
    assert licences.fits(licence, wanted) == fits


def test_the_projects_networks_have_permissive_licences() -> None:
    assert all(licences.is_permissive(network.licence) for network in registry.NETWORKS)


def test_purposes_name_what_there_is() -> None:
    named = {name for names in registry.PURPOSES.values() for name in names}
    assert named <= set(registry.names())
