"""The login page: a plain form without scripts, in HTML of its own."""

from html import escape

from lurk.web.ui.path_prefix import outside

PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Log in · Torchlurk</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="{prefix}/login.css">
  </head>
  <body>
    <main>
      <h1>Torchlurk</h1>
      {trouble}
      {form}
    </main>
  </body>
</html>
"""
FORM = """<form method="post" action="{prefix}/login">
        <input type="hidden" name="next" value="{next}">
        {fields}
        <button type="submit">Log in</button>
      </form>"""
NAME_FIELD = (
    '<label for="name">Name</label>'
    '<input id="name" name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus>'
)
WORD_FIELD = (
    '<label for="password">Password</label>'
    '<input id="password" name="password" type="password" autocomplete="current-password" required>'
)
KEY_FIELD = (
    '<label for="token">Token</label>'
    '<input id="token" name="token" type="password" autocomplete="off" required autofocus>'
    "<p>It is the part after <code>?token=</code> in the address that the server printed when it was started.</p>"
)
PROXY = "<p>This page is reached through a proxy that says who you are, and it said nothing. Ask who runs it.</p>"


def page(kind: str, next_: str, trouble: str = "") -> str:
    """The page's HTML.

    Args:
        kind: How people log in: `token`, `password` or `header`.
        next_: Where to go afterwards, a path of the application.
        trouble: Why the last attempt failed; empty on the first.

    Returns:
        HTML.
    """
    fields = {"token": KEY_FIELD, "password": NAME_FIELD + WORD_FIELD}.get(kind)
    prefix = outside("")
    form = PROXY if fields is None else FORM.format(prefix=prefix, next=escape(next_), fields=fields)
    alert = f'<p role="alert">{escape(trouble)}</p>' if trouble else ""
    return PAGE.format(prefix=prefix, trouble=alert, form=form)


def local_path(text: object) -> str:
    """A path of this server, as given; `/` for anything that could lead to another server.

    >>> local_path("/s/birds?x=1"), local_path("//evil.example"), local_path("https://evil.example")
    ('/s/birds?x=1', '/', '/')
    """
    path = text if isinstance(text, str) else ""
    is_plain = path.startswith("/") and len(path) <= 2000 and all(" " < sign != "\\" and sign < "\x7f" for sign in path)
    return path if is_plain and not path.startswith(("//", "/login", "/logout")) else "/"
