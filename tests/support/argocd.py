"""What Argo CD makes of an object: its built-in rule for OnePasswordItems in our words, and rules in Lua as users configure them."""

from typing import Any

from lupa import lua51

Json = dict[str, Any]


def built_in_health(item: Json) -> str:
    """The rule that Argo CD has for this kind; it looks at no generation and no reason."""
    if "deletionTimestamp" in item["metadata"]:
        return "Progressing"
    for condition in (item.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Ready":
            return {"True": "Healthy", "False": "Degraded"}.get(condition["status"], "Progressing")
    return "Progressing"


def configured_health(rule: str, item: Json) -> tuple[str, str]:
    """Status and message by a rule in Lua, which Argo CD asks only about objects that are not being deleted."""
    if "deletionTimestamp" in item["metadata"]:
        return "Progressing", ""
    # Argo CD's interpreter is one of Lua 5.1.
    runtime = lua51.LuaRuntime(register_eval=False)
    runtime.globals().obj = runtime.table_from(item, recursive=True)
    verdict = runtime.execute(rule)
    return verdict.status, verdict.message
