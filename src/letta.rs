//! The agents' secrets from a Letta server, as a map; never sets our own environment.
