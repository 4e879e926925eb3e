"""One module per command of the command line: a stage of the flow."""
