# One image for every process; docker-compose.yml says which command it runs. The order of the lines is that of how
# seldom they change: with other code, the packages are not installed again.
# For a workshop, and for a dev container: a Linux in which `make run` works, whatever the machine outside is. The source is
# mounted at /workspace. `docker build --target workshop .`; docs/workshop/README.md says how to run it.
FROM python:3.13.15-slim-trixie AS workshop
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make procps rabbitmq-server \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home learner
USER 1000
WORKDIR /workspace
# The page is opened outside of the container.
ENV WEB_ADDRESS=0.0.0.0
EXPOSE 8000
CMD ["bash"]

FROM python:3.13.15-slim-trixie AS build
WORKDIR /app
# Outside the environment, so that the image gets no pip in it. Wheels only: nothing is compiled, and ffmpeg is in one.
RUN python -m venv --without-pip /venv
COPY requirements.txt .
RUN pip --python /venv install --no-cache-dir --only-binary :all: --requirement requirements.txt
ENV PATH=/venv/bin:$PATH
# What .dockerignore lets through.
COPY . .
# The settings ask for no secret where collectstatic reads them.
RUN LOCAL_DIR=/tmp python manage.py collectstatic --noinput \
    && python -m compileall -q . \
    && python -c "import imageio_ffmpeg; print('ffmpeg', imageio_ffmpeg.get_ffmpeg_version())"

FROM python:3.13.15-slim-trixie
# /scratch is the one folder that the processes write to.
RUN pip uninstall --yes --root-user-action ignore pip \
    && useradd --uid 10001 --no-create-home mediaapp \
    && install --directory --owner mediaapp /scratch
COPY --from=build /venv /venv
# collectstatic writes for the owner and the group alone (FILE_UPLOAD_PERMISSIONS).
COPY --from=build --chown=root:mediaapp /app /app
WORKDIR /app
USER 10001
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TMPDIR=/scratch SCRATCH_DIR=/scratch/files LOCAL_DIR=/scratch/local MEDIA_ROOT=/scratch/media
VOLUME /scratch
EXPOSE 8000
CMD ["python", "-m", "config.server"]
