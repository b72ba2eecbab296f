# One image for every process; docker-compose.yml says which command it runs.
FROM python:3.13-slim AS build
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
# collectstatic reads the settings, and needs no real secret for it.
RUN DEBUG=true python manage.py collectstatic --noinput && rm -rf .local

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 mediaapp && install -d -o mediaapp /media
COPY --from=build /venv /venv
COPY --from=build --chown=mediaapp /app /app
WORKDIR /app
USER mediaapp
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MEDIA_ROOT=/media LOCAL_DIR=/tmp/mediaapp
VOLUME /media
EXPOSE 8000
CMD ["gunicorn", "config.wsgi", "--config", "config/gunicorn.py"]
