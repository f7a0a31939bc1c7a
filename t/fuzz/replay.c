
/*
 * Copyright (C) the trp authors
 */


/*
 * Runs a fuzz target on the files that are given as arguments, for compilers
 * without libFuzzer and for the inputs that it found.  TAP on stdout.
 */


#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* a block without a byte to spare, so that ASan sees reads past the end */

static uint8_t *
read_file(const char *name, size_t *size)
{
    long      len;
    FILE     *f;
    uint8_t  *data;

    f = fopen(name, "rb");
    if (f == NULL) {
        return NULL;
    }

    data = NULL;

    if (fseek(f, 0, SEEK_END) == 0
        && (len = ftell(f)) >= 0
        && fseek(f, 0, SEEK_SET) == 0
        && (data = malloc(len ? len : 1)) != NULL)
    {
        *size = fread(data, 1, len, f);

        if (*size != (size_t) len) {
            free(data);
            data = NULL;
        }
    }

    fclose(f);

    return data;
}


int
main(int argc, char *argv[])
{
    int       i, failed;
    size_t    size;
    uint8_t  *data;

    failed = 0;

    printf("1..%d\n", argc - 1);

    for (i = 1; i < argc; i++) {
        data = read_file(argv[i], &size);

        if (data == NULL) {
            printf("not ok %d - %s\n# %s\n", i, argv[i], strerror(errno));
            failed = 1;
            continue;
        }

        /* known before a crash */

        printf("# %s, %zu bytes\n", argv[i], size);
        fflush(stdout);

        LLVMFuzzerTestOneInput(data, size);
        free(data);

        printf("ok %d - %s\n", i, argv[i]);
        fflush(stdout);
    }

    return failed || argc < 2;
}
