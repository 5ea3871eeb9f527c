# sqsnn on the CPU: docker build -t sqsnn . && docker run --rm sqsnn train digits
# It could not be built where it was written; a test holds it to the rules below.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++=4:12.2.0-3 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY constraints.txt pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY src src
RUN python -m venv /opt/sqsnn \
    && /opt/sqsnn/bin/pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch==2.13.0 \
    && /opt/sqsnn/bin/pip install --no-cache-dir --constraint constraints.txt ".[tables]"

FROM python:3.11-slim-bookworm
COPY --from=build /opt/sqsnn /opt/sqsnn
RUN useradd --create-home --uid 1000 researcher
USER 1000
WORKDIR /home/researcher
ENV PATH=/opt/sqsnn/bin:$PATH
ENTRYPOINT ["sqsnn"]
CMD ["--help"]
