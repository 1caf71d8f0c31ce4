//! Rows 20 to 24: messages that are no JSON, no JSON-RPC, or no MCP.
