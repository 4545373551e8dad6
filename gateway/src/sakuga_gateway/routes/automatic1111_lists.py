"""AUTOMATIC1111's lists: the upscalers that there are, and what its clients ask when they start."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from sakuga_core.networks.choices import choices
from sakuga_gateway import fields
from sakuga_gateway.context import Context, Here, Known

router = APIRouter()

NONE = "None"  # the upscaler that leaves pictures as they are
# AUTOMATIC1111's names of networks, each with the options that make ours the same.
NAMES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "R-ESRGAN 4x+ Anime6B": ("realesrgan-x4plus-anime", {}),
    "R-ESRGAN 4x+": ("realesrgan-x4plus", {}),
    "R-ESRGAN AnimeVideo": ("realesr-animevideov3", {}),
    "R-ESRGAN General 4xV3": ("realesr-general-x4v3", {"denoise_strength": 1}),
    "R-ESRGAN General WDN 4xV3": ("realesr-general-x4v3", {"denoise_strength": 0}),
}
_FAILURES = fields.failures(fields.FASTAPI_ERROR)


async def networks(here: Context) -> dict[str, dict[str, Any]]:
    """The super-resolution networks that the server has, by our names."""
    found = choices(await here.images.triton.networks())
    return {
        name: facts
        for name, facts in found.items()
        if facts["kind"] == "upscale" and facts["installed"]
    }


@router.get("/upscalers", responses=_FAILURES)
async def upscalers(here: Here, caller: Known) -> list[dict[str, Any]]:
    """The upscalers that the server has, by AUTOMATIC1111's names where it has some."""
    found = await networks(here)
    ours = {name: name for name in found if name not in {model for model, _ in NAMES.values()}}
    names = {**{name: model for name, (model, _) in NAMES.items() if model in found}, **ours}
    nothing = {"name": NONE, "model_name": None, "model_path": None, "model_url": None, "scale": 4}
    return [
        nothing,
        *(
            {**nothing, "name": name, "model_name": model, "scale": found[model]["scale"]}
            for name, model in names.items()
        ),
    ]


@router.get("/realesrgan-models", responses=_FAILURES)
async def realesrgan_models(here: Here, caller: Known) -> list[dict[str, Any]]:
    """Those upscalers that AUTOMATIC1111 has names for."""
    found = await networks(here)
    return [
        {"name": name, "path": None, "scale": found[model]["scale"]}
        for name, (model, _) in NAMES.items()
        if model in found
    ]


# What its clients ask, for instance when they start, and what there isn't here.
_STATE = {"skipped": False, "interrupted": False, "job": "", "job_count": 0, "job_no": 0}
NOTHING: Mapping[str, Any] = {
    "scripts": {"txt2img": [], "img2img": []},
    "progress": {
        **{"progress": 0.0, "eta_relative": 0.0, "state": _STATE},
        **{"current_image": None, "textinfo": None},
    },
    "options": {},
    "cmd-flags": {},
    "embeddings": {"loaded": {}, "skipped": {}},
    **dict.fromkeys(("samplers", "schedulers", "sd-models", "sd-vae", "hypernetworks"), ()),
    **dict.fromkeys(("face-restorers", "prompt-styles", "latent-upscale-modes", "loras"), ()),
}


def _add(name: str, value: Any) -> None:
    async def nothing(caller: Known) -> Response:
        return JSONResponse(value)

    kind = "object" if isinstance(value, dict) else "array"
    router.add_api_route(
        f"/{name}",
        nothing,
        methods=["GET"],
        name=f"no_{name.replace('-', '_')}",
        summary=f"Nothing: what clients ask for when they start ({name})",
        response_class=JSONResponse,
        responses={200: fields.answer(kind), **_FAILURES},
    )


for _name, _value in NOTHING.items():
    _add(_name, _value)
