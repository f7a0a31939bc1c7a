
/*
 * Copyright (C) the trp authors
 */


/*
 * Paths are compared as text, so they may not climb: a pattern that allows a
 * directory must not allow what is above it.
 */


#include <string.h>

#include "base/trp_path.h"
#include "base/trp_str.h"


int
trp_path_get(trp_str_t text, trp_str_t *path)
{
    static const trp_str_t  prefix = trp_string("unix:/");

    if (!trp_str_starts(text, prefix)) {
        return 0;
    }

    path->data = text.data + prefix.len - 1;
    path->len = text.len - prefix.len + 1;

    return 1;
}


int
trp_path_valid(trp_str_t path)
{
    size_t   i, start;
    uint8_t  c;

    if (path.len < 2 || path.len > TRP_PATH_MAX_LEN || path.data[0] != '/') {
        return 0;
    }

    start = 1;

    for (i = 1; i <= path.len; i++) {

        if (i == path.len || path.data[i] == '/') {

            if (i - start == 2 && path.data[start] == '.'
                && path.data[start + 1] == '.')
            {
                return 0;
            }

            start = i + 1;
            continue;
        }

        c = path.data[i];

        if (c <= 0x20 || c >= 0x7f || c == ':' || c == ',') {
            return 0;
        }
    }

    return path.data[path.len - 1] != '/';
}


int
trp_path_match(trp_str_t pattern, trp_str_t path)
{
    size_t  i, k, star, mark;
    int     stars;

    i = 0;
    k = 0;
    star = 0;
    mark = 0;
    stars = 0;

    while (k < path.len) {

        if (i < pattern.len && pattern.data[i] == '*') {
            star = ++i;
            mark = k;
            stars = 1;

        } else if (i < pattern.len
                   && (pattern.data[i] == path.data[k]
                       || (pattern.data[i] == '?' && path.data[k] != '/')))
        {
            i++;
            k++;

        } else if (stars && path.data[mark] != '/') {

            /* the last "*" takes one character more */

            i = star;
            k = ++mark;

        } else {
            return 0;
        }
    }

    while (i < pattern.len && pattern.data[i] == '*') {
        i++;
    }

    return i == pattern.len;
}
