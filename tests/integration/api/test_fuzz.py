"""A short run of requests made from the OpenAPI document: whatever comes, no answer is a defect or undocumented."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.api.app import create_app
from services.api.settings import ApiSettings
from tests.integration.api.conftest import Running, World
from tests.integration.api.foreign import things

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SCHEMA = schemathesis.openapi.from_dict(create_app(ApiSettings("host=nowhere")).openapi())
OPERATIONS = [
    operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok))
    # a stream never ends by itself; its parameters are tested where streams are
    if operation.path != "/v1/stream"
]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
def test_no_request_breaks_it(api: Running, world: World, operation: schemathesis.APIOperation) -> None:
    headers = {"Authorization": f"Bearer {world.a.keys['all']}"}

    @settings(
        max_examples=4 if operation.method == "get" else 8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), real=st.booleans())
    def run(case: schemathesis.Case, real: bool) -> None:
        if real:
            case.path_parameters = {name: things(world, world.a, name)[0] for name in case.path_parameters or {}}
        case.call_and_validate(base_url=api.url, headers=headers, checks=CHECKS)

    run()
