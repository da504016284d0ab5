"""What the kernel offers a sandbox: control groups, call filters, mapped mounts, supervised processes."""
