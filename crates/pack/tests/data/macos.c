// An executable for macOS that only exits.
int main(void) { return 7; }
