# The control environment, from the same lock as on a laptop. No torch, no engine.
FROM python:3.11-slim-bookworm
RUN apt-get update \
 && apt-get install --yes --no-install-recommends curl libpq5 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 50000 airflow \
 && install -d -o airflow /home/airflow/airflow /home/airflow/airflow/logs /home/airflow/store
WORKDIR /opt/sparsebench
COPY requirements.txt include/sparsebench/locks/uv.txt /tmp/
RUN python -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/uv.txt \
 && /opt/tools/bin/uv pip sync --no-cache --system --require-hashes /tmp/requirements.txt
COPY --chown=airflow . .
ENV PATH="/opt/tools/bin:$PATH" \
    PYTHONPATH=/opt/sparsebench/include \
    AIRFLOW_HOME=/home/airflow/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/sparsebench/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/sparsebench/plugins
USER airflow
