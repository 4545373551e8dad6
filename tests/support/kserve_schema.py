"""A strict JSON Schema of KServe's objects: no field but those that its release has.

KServe's Python package has a class for each of its types, generated from the Go types that its CRDs
are generated from. What those take from Kubernetes (containers, volumes, tolerations) is checked
with the strict schemas of kubernetes-validate. Classes are read, not imported: the package asks for
a server's worth of others.
"""

import ast
import json
import re
import zipfile
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

import tools
from charts import CHECKERS

KUBERNETES = "https://kubernetes.io/api/_definitions.json"
REQUIRED = re.compile(r"Invalid value for `(\w+)`, must not be `None`")
SIMPLE = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
NAMES = {
    "K8sIoApiAppsV1DeploymentStrategy": "io.k8s.api.apps.v1.DeploymentStrategy",
    "ResourceQuantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "V1ObjectMeta": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
}


def errors(document: dict[str, Any]) -> list[ValidationError]:
    """What KServe's release doesn't take of an object."""
    group, _, version = document["apiVersion"].partition("/")
    assert group == "serving.kserve.io"
    name = f"{version.capitalize()}{document['kind']}"
    schema = {"$ref": f"#/$defs/{name}", "$defs": _definitions()}
    kubernetes = Resource.from_contents(_of_kubernetes())
    registry: Registry[Any] = Registry().with_resource(KUBERNETES, kubernetes)
    return list(Draft202012Validator(schema, registry=registry).iter_errors(document))


@cache
def _of_kubernetes() -> dict[str, Any]:
    folders = CHECKERS.parent.glob(
        "lib/python3*/site-packages/kubernetes_validate/*/*-local-strict"
    )
    newest = max(folders, key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.name)])
    return dict(json.loads((newest / "_definitions.json").read_text(encoding="utf-8")))


@cache
def _definitions() -> dict[str, Any]:
    found = {}
    with zipfile.ZipFile(tools.tool("kserve")) as wheel:
        for name in wheel.namelist():
            if name.startswith("kserve/models/"):
                text = wheel.read(name).decode()
                for node in ast.parse(text).body:
                    if isinstance(node, ast.ClassDef):
                        found[node.name] = (_tables(node), set(REQUIRED.findall(text)))
    return {name: _schema(*of_class, set(found)) for name, of_class in found.items()}


def _tables(node: ast.ClassDef) -> dict[str, dict[str, str]]:
    """The class's `openapi_types` and `attribute_map`."""
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def _schema(tables: dict[str, dict[str, str]], required: set[str], known: set[str]) -> Any:
    names, types = tables["attribute_map"], tables["openapi_types"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {names[field]: _type(kind, known) for field, kind in types.items()},
        "required": sorted(names[field] for field in required),
    }


def _type(kind: str, known: set[str]) -> Any:
    if kind == "object":
        return True
    if kind in SIMPLE:
        return {"type": SIMPLE[kind]}
    if listed := re.fullmatch(r"list\[(.*)\]", kind):
        return {"type": "array", "items": _type(listed[1], known)}
    if mapped := re.fullmatch(r"dict\(str, (.*)\)", kind):
        return {"type": "object", "additionalProperties": _type(mapped[1], known)}
    if kind in known:
        return {"$ref": f"#/$defs/{kind}"}
    name = NAMES.get(kind, f"io.k8s.api.core.v1.{kind.removeprefix('V1')}")
    # What isn't known isn't taken, so that nothing passes unchecked.
    return {"$ref": f"{KUBERNETES}#/$defs/{name}"} if name in _of_kubernetes()["$defs"] else False
