"""The catalogue finds recipes by rule and by name."""

import pytest

from bullpen.domain.change import Applicability
from bullpen.domain.errors import NotFound
from bullpen.recipes.base import FAMILIES, catalogue


def test_shared_modules_are_no_families() -> None:
    assert "python_security" in FAMILIES.names()
    assert not [name for name in FAMILIES.names() if name.startswith("_") or name == "base"]


def test_safe_recipes_come_before_unsafe_ones_and_precise_ones_before_general_ones() -> None:
    found = [recipe.name for recipe in catalogue().mending("ruff:S324")]
    assert found == ["hash-not-for-security", "ruff-safe-fixes", "hash-sha256", "ruff-unsafe-fixes"]
    trust = [recipe.applicability for recipe in catalogue().recipes]
    assert trust == sorted(trust, key=list(Applicability).index)


def test_rules_of_other_tools_are_not_for_ruff() -> None:
    assert [recipe.name for recipe in catalogue().mending("ast-grep:py-list-pop-front")] == ["list-to-deque"]
    assert catalogue().mending("bandit:B999") == ()


def test_recipe_is_found_by_its_name_or_the_names_there_are_are_said() -> None:
    assert catalogue().named("yaml-safe-load").fixes == ("ruff:S506",)
    with pytest.raises(NotFound, match="yaml-safe-load"):
        catalogue().named("yaml")
