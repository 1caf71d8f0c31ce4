# The image of smcp: the program, Python for plugins, and a user without rights.
#
#   docker build --tag smcp .
#   docker run --rm --publish 127.0.0.1:8000:8000 --env MCP_API_KEY=KEY --volume ./plugins:/plugins:ro smcp
#
# In a container the server listens on all addresses, so it starts only with a key. It is the first process: it takes
# over what plugins leave behind, and SIGTERM (docker stop) lets calls finish; give that 30 s with --stop-timeout.

ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release && cp target/release/smcp /smcp

FROM ${BASE_IMAGE}
# venv, for plugins with packages of their own.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-log-init --create-home --home-dir /var/lib/smcp --shell /usr/sbin/nologin smcp
COPY --from=build /smcp /usr/local/bin/smcp
COPY LICENSE /usr/share/doc/smcp/LICENSE
# The demo plugins, until a volume takes their place.
COPY plugins /plugins

ENV MCP_HOST=0.0.0.0 \
    MCP_PLUGINS_DIR=/plugins \
    MCP_DISABLE_FILE_LOG=1 \
    HOME=/var/lib/smcp
WORKDIR /var/lib/smcp
# By number, so that a platform can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["smcp", "health"]
ENTRYPOINT ["/usr/local/bin/smcp"]
