/* Takes the place of libavfilter in workers. GStreamer's libav plug-in names it for one element,
 * a deinterlacer that no worker makes; the real library brings some forty others with it. Nothing
 * here is ever called: whatever was would find no filter. */

#define ABSENT(name) void *name(void) { return 0; }

ABSENT(av_buffersink_get_frame)
ABSENT(av_buffersrc_add_frame)
ABSENT(avfilter_graph_alloc)
ABSENT(avfilter_graph_config)
ABSENT(avfilter_graph_free)
ABSENT(avfilter_graph_get_filter)
ABSENT(avfilter_graph_parse2)
