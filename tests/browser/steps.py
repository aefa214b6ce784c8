"""What the walks share: waiting for something to be true on a page."""

import time

from playwright.sync_api import Error


def until(page, expression: str, arg=None, timeout_s: float = 15) -> None:
    """Wait for an expression; Playwright's own `wait_for_function` needs the `eval` that the page forbids."""
    limit = time.monotonic() + timeout_s
    while not _is_true(page, expression, arg):
        assert time.monotonic() < limit, f"never true: {expression}"
        page.wait_for_timeout(30)


def _is_true(page, expression: str, arg) -> bool:
    try:
        return bool(page.evaluate(expression, arg))
    except Error as error:  # the page is being left for the next one
        if "Execution context was destroyed" not in str(error):
            raise
        return False


def path_is(page, path: str) -> None:
    until(page, "path => location.pathname === path", path)


def words_are(page, selector: str, words: str) -> None:
    """Wait until what an element says begins with the words."""
    expression = "([one, words]) => ((document.querySelector(one) || {}).textContent || '').startsWith(words)"
    until(page, expression, [selector, words])
