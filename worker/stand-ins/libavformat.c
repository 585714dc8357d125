/* Takes the place of libavformat in workers. GStreamer's libav plug-in names it for demuxers and
 * muxers, of which no worker makes one; the real library brings some thirty others with it. The
 * two functions that list them are called when the plug-in loads, and list none. Nothing else here
 * is ever called. */

#define ABSENT(name) void *name(void) { return 0; }

ABSENT(av_demuxer_iterate)
ABSENT(av_muxer_iterate)

ABSENT(av_find_default_stream_index)
ABSENT(av_index_search_timestamp)
ABSENT(av_read_frame)
ABSENT(av_seek_frame)
ABSENT(av_write_frame)
ABSENT(av_write_trailer)
ABSENT(avformat_alloc_context)
ABSENT(avformat_close_input)
ABSENT(avformat_find_stream_info)
ABSENT(avformat_free_context)
ABSENT(avformat_index_get_entry)
ABSENT(avformat_new_stream)
ABSENT(avformat_open_input)
ABSENT(avformat_write_header)
ABSENT(avio_alloc_context)
ABSENT(avio_flush)
