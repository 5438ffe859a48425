"""What visitors send: small forms, from the portal's own pages or from no page at all."""

import anyio
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from server.portal.guard import is_own

MOST_BYTES = 64 * 1024  # of a whole form; an approval and a checkpoint take one or two kB
_SECONDS = 20  # for all of it to come
_KINDS = ("application/x-www-form-urlencoded", "multipart/form-data")


async def fields(request: Request) -> dict[str, str]:
    """Return the fields of a form, files as the text in them; what is not UTF-8 is replaced.

    Raises:
        HTTPException: it comes from another site's page, is too large or slow, or is no form; says what to do.
    """
    if not is_own(request.headers):
        words = "This came from a page of another site, and was not read. Use the form on this portal's own page."
        raise HTTPException(403, words)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _KINDS:
        raise HTTPException(415, "What came is not a form. Use the form on this portal's own page.")
    body = await _body(request)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(request.scope, receive).form(
            max_files=2, max_fields=4, max_part_size=MOST_BYTES
        ) as form:
            return {name: await _text(value) for name, value in form.multi_items()}
    except HTTPException as err:
        raise HTTPException(400, "The form is damaged, and was not read. Send it again from its page.") from err


async def _body(request: Request) -> bytes:
    body = b""
    try:
        with anyio.fail_after(_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    words = f"What came is over {MOST_BYTES // 1024} kB, and was not read. Choose the right file."
                    raise HTTPException(413, words)
    except TimeoutError as err:
        raise HTTPException(408, "It took too long to come, and was not read. Send it again.") from err
    return body


async def _text(value: str | UploadFile) -> str:
    data = value if isinstance(value, str) else (await value.read()).decode(errors="replace")
    return data.replace("\r\n", "\n")  # as browsers send what was typed or pasted
