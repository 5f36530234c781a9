"""The eight phases of Pattern 1, one file each, and the scan that steps through them."""
