/* Lists the codecs of libavcodec that workers use, and no others. GStreamer's libav plug-in asks for
 * all of them when it loads and makes an element of each, six hundred, with all their options; that
 * took a third of a worker's start, for elements that the worker then removes.
 *
 * The lists are those of worker/src/video (formats.rs and sound/formats.rs), by libavcodec's names:
 * a codec that is missing here is an element that is missing when a worker starts. */

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

static const char *const DECODERS[] = {
    "h264", "hevc", "vp8", "vp9", "mpeg4", "mpeg2video", "mjpeg", "vc1", "wmv1", "wmv2", "wmv3",
    "h263", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "prores", "cfhd", "jpeg2000",
    "dnxhd", "dvvideo", "flv", "vp6", "vp6f", "vp6a",
    "aac", "aac_latm", "ac3", "eac3", "alac", "amrnb", "flac", "mp3float", "wmapro", "wmav1",
    "wmav2",
};
static const char *const ENCODERS[] = {"aac"};

enum {
    DECODER_COUNT = sizeof DECODERS / sizeof *DECODERS,
    ALL = DECODER_COUNT + sizeof ENCODERS / sizeof *ENCODERS,
};

typedef const void *(*find_function)(const char *name);

/* As libavcodec's function of this name: the codec after the position, which is moved on. */
const void *av_codec_iterate(void **position) {
    /* Loaded already: by the plug-in, which is asking. */
    void *library = dlopen("libavcodec.so.59", RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL) {
        return NULL;
    }
    find_function find_decoder = (find_function)dlsym(library, "avcodec_find_decoder_by_name");
    find_function find_encoder = (find_function)dlsym(library, "avcodec_find_encoder_by_name");
    const void *codec = NULL;
    uintptr_t at = (uintptr_t)*position;
    if (find_decoder != NULL && find_encoder != NULL) {
        for (; at < ALL && codec == NULL; at++) {
            codec = at < DECODER_COUNT ? find_decoder(DECODERS[at])
                                       : find_encoder(ENCODERS[at - DECODER_COUNT]);
        }
    }
    *position = (void *)at;
    dlclose(library);
    return codec;
}
