"""What people look at: pictures of masks on their scans."""

from __future__ import annotations
