"""The columns of CodeCarbon's emissions.csv, version by version (read from its source, releases 1.2 to 3.3)."""

from __future__ import annotations

# 3.3; older releases lack some of these, in this order and no other
COLUMNS = (
    "timestamp", "project_name", "run_id", "experiment_id", "duration", "emissions", "emissions_rate",
    "cpu_power", "gpu_power", "ram_power", "cpu_energy", "gpu_energy", "ram_energy", "energy_consumed",
    "water_consumed", "country_name", "country_iso_code", "region", "cloud_provider", "cloud_region", "os",
    "python_version", "codecarbon_version", "cpu_count", "cpu_model", "gpu_count", "gpu_model", "longitude",
    "latitude", "ram_total_size", "tracking_mode", "cpu_utilization_percent", "gpu_utilization_percent",
    "ram_utilization_percent", "ram_used_gb", "on_cloud", "pue", "wue",
)  # fmt: skip

# what every release since 1.0 writes, and without which nothing is known
NEEDED = ("timestamp", "project_name", "duration", "energy_consumed")

# kilowatt hours of each part, and the domain that it is
PARTS = {"cpu_energy": "cpu", "gpu_energy": "gpu", "ram_energy": "dram"}
