"""What a user could take instead of smcp: how each is installed and started. Measures nothing."""

from places import PEERS, example, locked_version, node_packages, python_packages, rust_version
from servers import Kind


def fastmcp(python: str) -> Kind:
    """Each call starts the plugin's program."""
    return Kind("FastMCP", "sse", "/sse", _fastmcp_version(), _fastmcp_server(python, "sse"))


def fastmcp_in_process(python: str) -> Kind:
    """A tool that computes in the server itself."""
    return Kind("FastMCP in-process", "sse", "/sse", _fastmcp_version(), _fastmcp_server(python, "in-process"))


def mcp_proxy(python: str) -> Kind:
    """HTTP+SSE before a server on standard input and output."""
    program = python_packages("mcp-proxy", PEERS / "mcp-proxy" / "requirements.txt", python) / "mcp-proxy"
    stdio = _fastmcp_server(python, "stdio")
    version = f"mcp-proxy {locked_version('mcp-proxy', 'mcp-proxy')} before a {_fastmcp_version()} stdio server"

    def command(plugins, python, port):
        line = [program, "--port", port, "--log-level", "ERROR", "--pass-environment", "--"]
        return [*line, *stdio(plugins, python, "")]

    return Kind("mcp-proxy", "sse", "/sse", version, command)


def supergateway(python: str) -> Kind:
    """The same, in Node."""
    program = node_packages("supergateway", PEERS / "supergateway") / "supergateway"
    stdio = _fastmcp_server(python, "stdio")
    version = f"supergateway {locked_version('supergateway', 'supergateway')} before a {_fastmcp_version()} stdio server"

    def command(plugins, python, port):
        words = " ".join(f"'{word}'" for word in stdio(plugins, python, ""))
        return [program, "--port", port, "--logLevel", "none", "--stdio", words]

    return Kind("supergateway", "sse", "/sse", version, command)


def rmcp(_python: str) -> Kind:
    """The official Rust SDK; each call starts the plugin's program."""
    version = f"rmcp {rust_version('rmcp')}, Streamable HTTP"
    return Kind(
        "rmcp", "mcp", "/mcp", version, lambda plugins, python, port: [example("rmcp_server"), plugins, python, port]
    )


def _fastmcp_version() -> str:
    return f"FastMCP {locked_version('fastmcp', 'fastmcp')}"


def _fastmcp_server(python: str, transport: str):
    program = python_packages("fastmcp", PEERS / "fastmcp" / "requirements.txt", python) / "python"
    server = PEERS / "fastmcp" / "server.py"

    def command(plugins, python, port):
        return [program, server, plugins, python, transport, *([port] if port else [])]

    return command


# By the names of their rows.
PEER_KINDS = {
    "FastMCP": fastmcp,
    "FastMCP in-process": fastmcp_in_process,
    "mcp-proxy": mcp_proxy,
    "supergateway": supergateway,
    "rmcp": rmcp,
}
