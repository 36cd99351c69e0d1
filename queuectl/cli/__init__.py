"""The command line: `main` names the commands, a module for each noun runs them, `render` prints what they give."""
