"""Plays an assistant: finds the fault of a demo run with the tools of /mcp alone, over HTTP and over stdio.

Arguments: the URL of the running program, the program, the tenant. The last line is the report, as JSON.
"""

import asyncio
import json
import sys

from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

URL, PROGRAM, TENANT = sys.argv[1:]
LARGEST = 0


def telemetry(text):
    """The data of an answer, which stands between two lines with the same mark; and the words around it."""
    lines = text.split("\n")
    begin = next(line for line in lines if line.startswith("BEGIN TELEMETRY "))
    mark = begin.removeprefix("BEGIN TELEMETRY ")
    at, end = lines.index(begin), lines.index(f"END TELEMETRY {mark}")
    assert text.count(mark) == 2 and len(mark) == 32, text[:300]
    return json.loads("\n".join(lines[at + 1 : end])), lines[:at] + lines[end + 1 :]


async def ask(client, tool, **arguments):
    global LARGEST
    result = await client.call_tool(tool, arguments)
    text = result.content[0].text
    assert not result.is_error, f"{tool} {arguments}: {text}"
    LARGEST = max(LARGEST, len(text.encode()))
    return telemetry(text)


async def refused(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert result.is_error, f"{tool} {arguments}: {result.content[0].text[:300]}"
    return result.content[0].text


async def investigate(client):
    """What somebody finds out who knows nothing but what the tools say."""
    found, notes = await ask(client, "find_faults")
    assert any("explain_fault" in note for note in notes), notes
    window = found["window"]
    suspect = found["suspects"][0]["service"]
    told, _ = await ask(client, "explain_fault", **{"from": window["from_ns"], "to": window["to_ns"]})
    assert told["suspects"][0]["evidence"], told
    trace_id = told["suspects"][0]["examples"]["failing"][0]
    trace, _ = await ask(client, "get_trace", trace_id=trace_id)
    assert any(span["service"] == suspect for span in trace["spans"]), trace
    page, _ = await ask(client, "get_trace", trace_id=trace_id, limit=2)
    assert len(page["spans"]) == 2 and page["next_offset"] == 2, page
    rest, _ = await ask(client, "get_trace", trace_id=trace_id, offset=2)
    assert rest["spans"][0] == trace["spans"][2]
    logs, _ = await ask(client, "trace_logs", trace_id=trace_id)
    window = {"from": window["from_ns"], "to": window["to_ns"]}
    graph, _ = await ask(client, "service_graph", **window)
    assert any(node["name"] == suspect for node in graph["nodes"]), graph
    errors, _ = await ask(client, "search_logs", severity="error", **window)
    one, _ = await ask(client, "search_logs", severity="error", limit=1, **window)
    two, _ = await ask(client, "search_logs", severity="error", limit=1, cursor=one["next_cursor"], **window)
    # Which pattern a line belongs to may still change while patterns are being found.
    lines = lambda logs: [(line["time_ns"], line["service"], line["body"]) for line in logs]
    assert lines(one["logs"] + two["logs"]) == lines(errors["logs"][:2]), (one, two, errors["logs"][:2])
    patterns, _ = await ask(client, "log_patterns", service=suspect, **window)
    assert patterns["patterns"], patterns
    changes, _ = await ask(client, "compare_windows", after_from=window["from"], after_to=window["to"])
    return {
        "suspect": suspect,
        "verdict": told["verdict"],
        "explained": told["suspects"][0]["service"],
        "kinds": sorted({item["kind"] for item in told["suspects"][0]["evidence"]}),
        "windows": len(found.get("odd_windows", [])),
        "logs": len(logs.get("logs", [])),
        "errors": len(errors["logs"]),
        "changes": [f"{change['kind']} {change['service']} {change['subject']}" for change in changes["changes"]],
        "first_change": changes["changes"][0],
    }


def over_http(tenant):
    return streamable_http_client(f"{URL}/mcp", http_client=create_mcp_http_client(headers={"x-scope-orgid": tenant}))


async def main():
    report = {}
    async with Client(over_http(TENANT)) as client:
        tools = (await client.list_tools()).tools
        report["tools"] = [tool.name for tool in tools]
        for tool in tools:
            properties = tool.input_schema["properties"]
            assert properties and all(schema["description"] for schema in properties.values()), tool
            assert tool.annotations.read_only_hint, tool
        report["http"] = await investigate(client)
        report["refusals"] = [
            await refused(client, "explain_fault", **{"from": "yesterday"}),
            await refused(client, "search_logs", limit=5_000),
            await refused(client, "search_logs", words="x"),
            await refused(client, "get_trace", trace_id="00000000000000000000000000000abc"),
            await refused(client, "get_trace"),
        ]
        try:
            await client.call_tool("delete_everything", {})
            raise AssertionError("an unknown tool was called")
        except MCPError as error:
            report["unknown"] = str(error)
    # As clients before 2026 begin, and of another tenant.
    async with Client(over_http("nobody"), mode="legacy") as client:
        report["instructions"] = client.instructions or ""
        logs, _ = await ask(client, "search_logs")
        report["other_tenant"] = logs.get("logs", [])
    command = ["mcp", "--endpoint", URL, "--tenant", TENANT]
    for mode in ("auto", "legacy"):
        async with Client(StdioServerParameters(command=PROGRAM, args=command), mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == report["tools"]
            report[f"stdio_{mode}"] = await investigate(client)
    nowhere = ["mcp", "--endpoint", "http://127.0.0.1:9"]
    try:
        async with Client(StdioServerParameters(command=PROGRAM, args=nowhere), mode="legacy") as client:
            await client.list_tools()
        raise AssertionError("nobody answered")
    except Exception as error:
        report["nowhere"] = repr(error) + "".join(repr(inner) for inner in getattr(error, "exceptions", ()))
    report["largest"] = LARGEST
    print(json.dumps(report))


asyncio.run(main())
