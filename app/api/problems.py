"""Errors of the HTTP interface: RFC 9457 problem details, each with a stable ``code``."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from engine.errors import ZionError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - RFC 9457's own name
    """An answer that is not what was asked for.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str
        Stable name that a program may compare.
    detail : str
        What happened and what to do, for a person.
    more
        Members of the document besides.
    """

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more


def _answer(request: Request, status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "code": code,
        **more,
    }
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Make every error of an application a problem document."""

    @app.exception_handler(Problem)
    def problem(request: Request, error: Problem) -> JSONResponse:
        return _answer(request, error.status, error.code, error.detail, **error.more)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).name.lower()
        return _answer(request, error.status_code, code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _answer(request, 422, "invalid_request", f"{where}: {first['msg']}")

    @app.exception_handler(ZionError)
    def told(request: Request, error: ZionError) -> JSONResponse:
        detail = ". ".join(part for part in (error.what, error.why, error.hint) if part)
        return _answer(request, 500, type(error).__name__.lower(), detail)
