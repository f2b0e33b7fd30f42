// An executable for FreeBSD that only exits.
__attribute__((section(".note.tag"), used, aligned(4))) static const struct {
    int name_len, value_len, kind;
    char name[8];
    int version;
} tag = {8, 4, 1, "FreeBSD", 1402000};

void _start(void) {
    register long number __asm__("rax") = 1;
    register long code __asm__("rdi") = 7;
    __asm__ volatile("syscall" : : "r"(number), "r"(code));
    for (;;) {}
}
