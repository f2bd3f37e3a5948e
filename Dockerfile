# The book's whole environment; by default it retrains, compares and builds the book (`make reproduce`).
#
#     docker build -t resnet-lib .
#     docker run --name book resnet-lib && docker cp book:/home/reader/book/build out
#
# The pages are then in out/book. A folder of the host's mounted there instead would be root's, and not writable here.
# Any other target of the Makefile goes after the image's name: `docker run --rm resnet-lib make test`.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 reader
USER reader
WORKDIR /home/reader/book
COPY --chown=reader . .

# torch without CUDA; with a GPU build with --build-arg PIP_EXTRA_INDEX_URL=
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN make .venv/.installed

CMD ["make", "reproduce"]
