# The whole image is one static file, built here from a fresh clone:
#   docker build -t hoop-lite .            (or buildah bud, with --platform for another machine)
# Release files that are there already make the same image faster: deploy/Dockerfile.dist.
# The first image is any Debian with rustup's cargo; it runs on x86_64 and builds for every platform.
ARG BUILD_IMAGE=docker.io/library/rust:1.95.0-bookworm
FROM --platform=linux/amd64 ${BUILD_IMAGE} AS build
RUN python3 -m pip --version || { apt-get update && apt-get install -y --no-install-recommends python3-pip; }
WORKDIR /src
COPY . .
# Set by the builder. A default here would put one machine's file into every image.
ARG TARGETARCH
ARG TARGETVARIANT
RUN architecture=$(deploy/machine name "$TARGETARCH$TARGETVARIANT") && \
    install -D "$(scripts/build-static --binary "$architecture")" /out/hoop-lite && \
    deploy/machine check "$TARGETARCH$TARGETVARIANT" /out/hoop-lite

FROM scratch
COPY --from=build /out/hoop-lite /hoop-lite
USER 65532:65532
# Inside the container alone: for its probes, which ask by the program itself.
ENV HOOP_LITE_HEALTH_LISTEN=127.0.0.1:8686
HEALTHCHECK CMD ["/hoop-lite", "health", "livez"]
ENTRYPOINT ["/hoop-lite"]
