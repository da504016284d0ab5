"""What a repository is made of: files, modules, imports."""
