"""Who may do what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.tools.base import Risk
from bullpen.tools.policy import DEFAULT_RULES, Policy, Rule, decide

RULES = st.none() | st.dictionaries(st.sampled_from(Risk), st.sampled_from(Rule))


@pytest.mark.req("TOL-02")
@given(RULES, RULES, RULES, RULES)
def test_a_repository_can_only_make_it_stricter(
    organization: dict[Risk, Rule] | None,
    project: dict[Risk, Rule] | None,
    role: dict[Risk, Rule] | None,
    repository: dict[Risk, Rule] | None,
) -> None:
    trusted = decide(organization, project, role)
    policy = decide(organization, project, role, repository)
    assert all(policy.rule(risk) >= trusted.rule(risk) for risk in Risk)
    assert all(policy.rule(risk) >= (repository or {}).get(risk, Rule.ALLOW) for risk in Risk)


@given(RULES, RULES, st.sampled_from(Risk))
def test_what_a_wider_level_denies_stays_denied(
    project: dict[Risk, Rule] | None, role: dict[Risk, Rule] | None, risk: Risk
) -> None:
    assert decide({risk: Rule.DENY}, project, role).rule(risk) is Rule.DENY


@given(st.sampled_from(Risk), st.sampled_from([Rule.ALLOW, Rule.ASK]), st.sampled_from(Rule))
def test_the_nearer_trusted_level_decides(risk: Risk, wide: Rule, near: Rule) -> None:
    assert decide({risk: wide}, None, {risk: near}).rule(risk) is near


def test_without_settings_the_outside_is_asked_for_and_the_rest_allowed() -> None:
    assert {risk: decide().rule(risk) for risk in Risk} == dict(DEFAULT_RULES)
    assert decide().rule(Risk.NETWORK) is decide().rule(Risk.PRODUCTION) is Rule.ASK


def test_what_nobody_decided_is_denied() -> None:
    assert Policy({}).rule(Risk.READ) is Rule.DENY
