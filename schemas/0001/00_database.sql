-- Never `default`: in the embedded engine that name overlays the file system.
CREATE DATABASE IF NOT EXISTS {database} ENGINE = Atomic
