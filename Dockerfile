FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --create-home --uid 10001 mailservice
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY . .

# The only place that is written to: sender journals and uploaded pictures.
ENV INSTANCE_PATH=/data
RUN mkdir /data && chown mailservice: /data
VOLUME /data

USER mailservice
EXPOSE 8000
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--workers", "2", "--worker-class", "gthread", "--threads", "4", \
     "--graceful-timeout", "5", "--no-control-socket", "--preload", "wsgi:app"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
