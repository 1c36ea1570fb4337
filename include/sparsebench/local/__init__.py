"""The whole system on one machine: Airflow, and localcloud in the place of AWS. Loopback only."""
