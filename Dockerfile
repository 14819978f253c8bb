# The whole image is one static file. Build the binaries first: scripts/build-static
#   docker buildx build --platform linux/amd64,linux/arm64,linux/arm/v7 -t hoop-lite .
FROM scratch
ARG TARGETPLATFORM=linux/amd64
COPY --chmod=755 dist/${TARGETPLATFORM}/hoop-lite /hoop-lite
USER 65532:65532
ENV HOOP_LITE_HEALTH_LISTEN=[::]:8686
ENTRYPOINT ["/hoop-lite"]
