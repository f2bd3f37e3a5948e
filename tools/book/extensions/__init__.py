"""What Sphinx loads to build the pages; _config.yml names each."""
