"""TEST ONLY: pulumi-command's `command:remote:Command`, as far as our program uses it."""
