"""The client and the gateway's own description of itself say the same.

The description is asked of the gateway that `LEVERET_GATEWAY_URL` names; `clients/agreement.json`
says what is left out, and which models stand for which parts of it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import unittest
from pathlib import Path
from typing import Any

import httpx

from leveret import NewTask, fleet, letters, listings, models, problem, source, timetable
from leveret._decode import Model, member, members
from leveret._settings import Settings

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "src" / "leveret"
AGREEMENT: dict[str, Any] = json.loads((HERE.parent.parent / "agreement.json").read_text())
CALL = re.compile(r'Call\(\s*"([A-Z]+)",\s*"(/v1/[^"]*)"|self\._ask\("(/v1/[^"]*)"')
METHODS = {"get", "post", "put", "delete"}


class Description:
    """The OpenAPI document."""

    def __init__(self, document: Any) -> None:
        self.paths = document["paths"]
        self.schemas = document["components"]["schemas"]

    def operations(self) -> dict[str, str]:
        """Returns the id of each operation of the API by its method and path."""
        return {
            f"{method.upper()} {path}": operation["operationId"]
            for path, methods in self.paths.items()
            for method, operation in methods.items()
            if method in METHODS and path.startswith("/v1/")
        }

    def properties(self, schema: Any) -> dict[str, list[Any]]:
        """Returns the schemas of each property, whichever variant of the schema has it."""
        found: dict[str, list[Any]] = {}
        for part in self.variants(schema):
            for name, one in part.get("properties", {}).items():
                found.setdefault(name, []).append(one)
        return found

    def variants(self, schema: Any) -> list[Any]:
        """Returns the objects that a schema is put together of."""
        if "$ref" in schema:
            return self.variants(self.schemas[schema["$ref"].rpartition("/")[2]])
        parts = [one for key in ("allOf", "oneOf", "anyOf") for one in schema.get(key, [])]
        return [schema, *(part for one in parts for part in self.variants(one))]

    def required(self, schema: Any) -> set[str]:
        """Returns the properties that are always there."""
        if "$ref" in schema:
            return self.required(self.schemas[schema["$ref"].rpartition("/")[2]])
        found = set(schema.get("required", []))
        for one in schema.get("allOf", []):
            found |= self.required(one)
        choices = [self.required(one) for one in schema.get("oneOf", [])]
        return found | (set.intersection(*choices) if choices else set())

    def reached(self, schema: Any) -> set[str]:
        """Returns the names of all objects that an answer can hold."""
        found: set[str] = set()
        waiting = [schema]
        while waiting:
            one = waiting.pop()
            if isinstance(one, list):
                waiting.extend(one)
            elif isinstance(one, dict):
                _, is_schema, name = str(one.get("$ref", "")).partition("#/components/schemas/")
                if is_schema and name not in found:
                    found.add(name)
                    waiting.append(self.schemas[name])
                waiting.extend(one.values())
        return {name for name in found if self.properties(self.schemas[name])}


def known() -> dict[str, type[Model]]:
    """Returns the models by the parts of the description that they stand for."""
    found = {}
    for module in (fleet, letters, listings, models, problem, source, timetable):
        for name, kind in vars(module).items():
            if isinstance(kind, type) and issubclass(kind, Model) and kind is not Model:
                for part in AGREEMENT["models"].get(name, [name]):
                    found[part] = kind
    return found


def called() -> set[str]:
    """Returns the operations that the client's source names."""
    text = "".join(path.read_text() for path in (PACKAGE / "_async").glob("*.py"))
    return {f"{method or 'POST'} {path or asked}" for method, path, asked in CALL.findall(text)}


@unittest.skipUnless(os.environ.get("LEVERET_GATEWAY_URL"), "LEVERET_GATEWAY_URL names no gateway")
class Agreement(unittest.TestCase):
    described: Description

    @classmethod
    def setUpClass(cls) -> None:
        settings = Settings.read(None, None, None, "30s", 0)
        answer = httpx.get(f"{settings.url}/v1/openapi.json", headers=settings.headers())
        cls.described = Description(answer.raise_for_status().json())

    def test_each_operation_is_covered_or_left_out_by_name(self) -> None:
        operations = self.described.operations()
        self.assertEqual(called() - operations.keys(), set())
        covered = {operations[one] for one in called()}
        left_out = set(AGREEMENT["left_out"])
        self.assertEqual(covered & left_out, set())
        self.assertEqual(set(operations.values()), covered | left_out)

    def test_each_model_has_the_members_that_are_described(self) -> None:
        for kind in set(known().values()):
            parts = [part for part, one in known().items() if one is kind]
            described: set[str] = set()
            for part in parts:
                described |= self.described.properties(self.described.schemas[part]).keys()
            with self.subTest(kind.__name__):
                self.assertEqual({name for _, name, _ in members(kind)}, described)

    def test_what_a_model_needs_is_always_there(self) -> None:
        for part, kind in known().items():
            needed = {
                name
                for one, name, _ in members(kind)
                if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
            }
            with self.subTest(part):
                self.assertLessEqual(needed, self.described.required(self.described.schemas[part]))

    def test_each_object_of_an_answer_has_its_model(self) -> None:
        operations = self.described.operations()
        typed = {*known(), "ScheduleDefinition", "MisfireRules", *AGREEMENT["without_model"]}
        for path, methods in self.described.paths.items():
            for method, operation in methods.items():
                one = f"{method.upper()} {path}"
                if operations.get(one, "getOpenApi") not in AGREEMENT["left_out"]:
                    with self.subTest(one):
                        reached = self.described.reached(operation["responses"])
                        self.assertEqual(reached - typed, set())

    def test_what_is_written_has_the_members_that_are_described(self) -> None:
        written = {
            "NewTask": {member(field.name) for field in dataclasses.fields(NewTask)},
            "ScheduleDefinition": set(timetable.ScheduleDefinition.__annotations__),
            "MisfireRules": set(timetable.MisfireRules.__annotations__),
        }
        for part, names in written.items():
            with self.subTest(part):
                described = self.described.properties(self.described.schemas[part])
                self.assertEqual(names, set(described))
