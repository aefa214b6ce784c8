"""The path prefix of `--path-prefix`: the only place that takes it off requests and puts it before addresses."""

from collections.abc import Iterable

from flask import has_request_context, request

from lurk.web.auth.request_guard import Application, Environ, StartResponse


class PathPrefix:
    """A WSGI application around another one, which sees paths without the prefix.

    A proxy may leave the prefix in the path or take it off: both are the same to the application.
    """

    def __init__(self, app: Application, prefix: str) -> None:
        """Put a prefix before an application.

        Args:
            app: The application.
            prefix: The prefix as `Settings.path_prefix` has it; empty for none.
        """
        self._app, self._prefix = app, prefix

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if self._prefix:
            path = "/" + str(environ.get("PATH_INFO", "")).lstrip("/")
            if path == self._prefix or path.startswith(self._prefix + "/"):
                path = "/" + path[len(self._prefix) :].lstrip("/")
            environ = environ | {"SCRIPT_NAME": self._prefix, "PATH_INFO": path}
        return self._app(environ, start_response)


def outside(path: str) -> str:
    """A path of the application as the browser needs it: with the prefix."""
    return (request.script_root if has_request_context() else "") + path


def inside(path: str) -> str:
    """A path of the browser as the application knows it: without the prefix."""
    prefix = request.script_root if has_request_context() else ""
    is_below = path == prefix or path.startswith(prefix + "/")
    return path[len(prefix) :] or "/" if prefix and is_below else path
